"""The `/rerun-test` command of comments, and the nightly issue.

`command` reads what was asked, `policy` decides who may have what (both pure), `github` reads and
writes there, `jobs` has one file per job of the workflows, `wording` is what users read.
"""
