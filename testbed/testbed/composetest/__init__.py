"""Plays a scenario on the Compose stack where no image can be pulled: ``tools/compose-test``.

An own engine in namespaces of its own, stand-ins under the names of the official images, and the
project's own images built from its Dockerfile.
"""
