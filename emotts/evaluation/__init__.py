"""The evaluation loop: a grid of requests is spoken, judged, measured and reported; every knob is proved to work."""
