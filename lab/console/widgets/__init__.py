"""What pages are made of. A widget places and styles plain values; it reads nothing itself."""
