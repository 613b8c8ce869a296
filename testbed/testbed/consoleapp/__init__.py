"""The console: one page on a native stack, and what can be asked and started there.

A process of its own, beside the other components. ``runfolder``, ``readings`` and ``signals`` read;
``programme``, ``components``, ``notices``, ``traces`` and ``svg`` are pure; ``pages`` renders;
``live`` streams what changed; ``control`` starts and stops; ``app`` serves.
"""
