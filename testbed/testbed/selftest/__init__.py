"""The self-test: plants defects one at a time and demands that the verdict finds and names them.

``defects`` lists them by kind, ``patches`` holds what is planted in processes, ``edits`` what is
changed in configuration, ``play`` plays one, ``results`` says what came of all.
"""
