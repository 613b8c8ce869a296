"""``testbed init``: looks at a service, and writes its file and a first scenario."""
