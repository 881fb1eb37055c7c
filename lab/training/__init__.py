"""The worker side: what runs in the detached process that trains and evaluates one run."""
