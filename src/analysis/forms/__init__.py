"""Where do people stop in a form? Field by field, from focus, change, error and submit.

This package refuses to guess which events are a form's, to show what people typed (it never reads a
value), and to say that a field makes people stop because it is the last one they touched.

Read the files in this order:

1. `result`: `form_fields`, its result and its sentence; then the rows of the form in each shard,
   and the tables of its fields and of how its attempts end;
2. `kernels`: the compiled loop over the rows of an attempt;
3. `figures`: what is drawn, field by field.
"""

from analysis.forms.result import form_fields

__all__ = ["form_fields"]
