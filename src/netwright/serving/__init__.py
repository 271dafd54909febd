"""A trained model behind HTTP: a page to try it on, and JSON for programs.

Reading order: `inputs` (what a request may hold), `worker` (one thread that answers them all), `app` (the routes),
`page` (the page, in both languages), `running` (the address, and the end). Nothing that a request holds is opened as a
path or run as code.
"""

__all__: list[str] = []
