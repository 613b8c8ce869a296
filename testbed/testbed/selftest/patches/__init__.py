"""What is planted in the processes of components; each function changes the code of one process.

They stand apart from the components, so that no component holds code that lies. Each replaces one
method by one that calls the original and then alters what it gave; where that method is gone the
patch raises, so the self-test can't pass for a defect that was never planted.
"""
