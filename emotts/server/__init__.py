"""An HTTP server that existing clients of OpenAI's speech can point at, and what a stranger may ask of it and of the demo."""
