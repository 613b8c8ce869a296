"""A tool of the stack that is compiled in a second, for tests of compiling."""

from __future__ import annotations

from testbed.stack.catalogue import Tool, ToolProgram

TINY = Tool(
    name="tiny",
    module="example.test/tiny",
    module_version="v1.2.3",
    version="1.2.3",
    programs=(ToolProgram("tiny", "example.test/tiny/cmd/tiny"),),
    image="none:1.2.3",
    ldflags="-s -w -X main.version=1.2.3",
    disk=0,
)
