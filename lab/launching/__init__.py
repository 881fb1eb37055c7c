"""From a checked profile to a living worker and back: start, resume, stop, and the queue for devices."""
