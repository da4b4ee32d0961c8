"""The `/rerun-test` command of comments: grammar and access rules pure, GitHub at the edge."""
