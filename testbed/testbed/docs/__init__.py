"""The generated reference: each page is made from the one place that knows its matter."""
