"""Ray's errors in one line."""

from harness.cluster.wording import clean_line, explain_refusal

RAY_TRACEBACK = (
    "\x1b[36mray::DeviceActor.run_attempt()\x1b[39m (pid=77, ip=10.0.0.1, actor_id=ab)\n"
    '  File "/x/launch.py", line 28, in __init__\n'
    "    spec.folder.mkdir(parents=True)\n"
    "FileExistsError: [Errno 17] File exists: '/y/.harness/runs'"
)


def test_a_traceback_gives_its_cause_without_prefix_and_colours() -> None:
    expected = "FileExistsError: [Errno 17] File exists: '/y/.harness/runs'"
    assert clean_line(RAY_TRACEBACK) == expected


def test_other_text_gives_its_first_line_and_never_more_than_a_line() -> None:
    assert clean_line("The actor died.\nclass_name: DeviceActor") == "The actor died."
    assert len(clean_line("x" * 1000)) == 300
    assert clean_line("") != ""


def test_a_refused_token_says_what_to_set_and_another_refusal_what_happened() -> None:
    text = "Failed to connect.\nLast connection error: AuthenticationError: InvalidAuthToken"
    assert "RAY_AUTH_TOKEN" in explain_refusal(text)
    assert explain_refusal("Failed to connect.\nmore") == "Failed to connect."
