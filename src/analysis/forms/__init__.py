"""Where do people stop in a form?"""

from analysis.forms.result import form_fields

__all__ = ["form_fields"]
