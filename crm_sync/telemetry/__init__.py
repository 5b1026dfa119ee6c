"""What a process tells about itself: metrics, logs without secrets, and that it is ready."""
