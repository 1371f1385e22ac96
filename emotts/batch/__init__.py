"""Many lines at once: a table or a script comes in, checked whole; a folder of speech and a log of results go out."""
