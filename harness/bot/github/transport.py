"""Requests to GitHub through githubkit: retried where that is safe, each answer checked.

Every failure is one `GithubError` that says what was tried. No message holds an answer's text, a
header or the token.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count
from typing import Any, Self, TypeVar

from githubkit import GitHub, TokenAuthStrategy
from githubkit.exception import (
    GitHubException,
    RateLimitExceeded,
    RequestError,
    RequestFailed,
)
from githubkit.response import Response
from githubkit.typing import RetryOption
from pydantic import BaseModel, TypeAdapter, ValidationError

from harness.bot.github.shapes import CountedPage
from harness.core.errors import HarnessError

TIMEOUT_S = 20.0
#: Seconds before each further try of a request that got no good answer.
WAITS_S = (1.0, 4.0)
#: A longer rate limit is an error: a runner must not sit it out.
LONGEST_WAIT = timedelta(seconds=60)
_PAGE = 100
_MOST_PAGES = 10

S = TypeVar("S", bound=BaseModel)
Method = Callable[..., Any]
"""A method of githubkit's REST client."""


class GithubError(HarnessError):
    """GitHub refused, failed, or gave an unreadable answer. `status`: None without an answer."""

    def __init__(self, action: str, status: int | None, why: str) -> None:
        super().__init__(f"GitHub, asked to {action}: {why}")
        self.action = action
        self.status = status


class TooManyError(GithubError):
    """GitHub counts more entries than it lists: a narrower question is needed."""


class Transport:
    """The connection to one repository. All methods raise GithubError.

    Inside `with` one connection serves all requests. `action` completes "asked to ...".
    """

    def __init__(self, repository: str, token: str, url: str) -> None:
        self._where = dict(zip(("owner", "repo"), repository.split("/", 1), strict=True))
        self._client = GitHub(
            TokenAuthStrategy(token),
            base_url=url,
            user_agent="harness-bot",
            timeout=TIMEOUT_S,
            http_cache=False,
            auto_retry=_decide_retry,
        )
        self.rest = self._client.rest

    def __enter__(self) -> Self:
        self._client.__enter__()  # type: ignore[no-untyped-call] # githubkit leaves it out
        return self

    def __exit__(self, *raised: Any) -> None:
        self._client.__exit__(*raised)

    def call(self, action: str, method: Method, **given: Any) -> Response[Any]:
        """Send one request and return the answer, unchecked."""
        try:
            answer: Response[Any] = method(**self._where, **given)
        except RequestFailed as error:
            status = error.response.status_code
            raise GithubError(action, status, f"answered {status}") from None
        except RequestError as error:
            raise GithubError(action, None, f"no answer ({type(error.exc).__name__})") from None
        except (GitHubException, ValueError, OverflowError) as error:
            raise GithubError(action, None, f"unusable ({type(error).__name__})") from None
        return answer

    def read(self, action: str, shape: type[S], method: Method, **given: Any) -> S:
        """Send one request and return the answer, checked to be of this shape."""
        return _check_shape(action, TypeAdapter(shape), self.call(action, method, **given))

    def read_pages(
        self, action: str, shape: TypeAdapter[Any], method: Method, **given: Any
    ) -> Iterator[Any]:
        """Yield every page of a list.

        Raise GithubError if there are more than 10 pages, or if GitHub counts more entries than it
        lists: it ends a list at 1,000 without a word.
        """
        listed = 0
        for page in count(1):
            answer = self.call(action, method, per_page=_PAGE, page=page, **given)
            found = _check_shape(action, shape, answer)
            if isinstance(found, CountedPage) and found.total_count > _PAGE * _MOST_PAGES:
                raise TooManyError(action, None, f"counts {found.total_count} entries")
            yield found
            if 'rel="next"' not in answer.headers.get("link", ""):
                break
            listed += _PAGE
            if page == _MOST_PAGES:
                raise GithubError(action, None, f"more than {_PAGE * _MOST_PAGES} entries")
        if isinstance(found, CountedPage):
            _check_total(action, found, listed)


def _decide_retry(error: GitHubException, tried: int) -> RetryOption:
    """Try again after a short rate limit, and if asking twice does what asking once does."""
    if tried >= len(WAITS_S):
        return RetryOption(False)
    wait = timedelta(seconds=WAITS_S[tried])
    if isinstance(error, RateLimitExceeded):
        # githubkit takes a wait of nothing for one of a minute.
        return RetryOption(error.retry_after <= LONGEST_WAIT, max(error.retry_after, wait))
    if isinstance(error, RequestFailed):
        again = error.response.status_code >= 500 and error.request.method != "POST"
    else:
        again = _find_method(error) == "GET"
    return RetryOption(again, wait)


def _find_method(error: GitHubException) -> str:
    request = getattr(getattr(error, "exc", None), "_request", None)
    return request.method if request else ""


def _check_total(action: str, last: CountedPage, before: int) -> None:
    listed = before + len(last.entries)
    if listed < last.total_count:
        raise GithubError(action, None, f"lists {listed} of {last.total_count} entries")


def _check_shape(action: str, shape: TypeAdapter[S], answer: Response[Any]) -> S:
    try:
        return shape.validate_json(answer.content)
    except ValidationError as error:
        places = {".".join(map(str, one["loc"])) or "all of it" for one in error.errors()}
        where = ", ".join(sorted(places)[:3])
        raise GithubError(action, None, f"its answer is not as documented ({where})") from None
