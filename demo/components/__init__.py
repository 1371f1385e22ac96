"""Components of the demo's own: each a `gr.HTML` with its template, style and script in files beside it."""
