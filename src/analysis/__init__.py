"""The micro-conversion workbook's analysis functions."""
