"""The drift job; the only room that imports Evidently."""
