"""From measured files to answers."""
