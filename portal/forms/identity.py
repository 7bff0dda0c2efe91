"""What people type into the pages of the wing identity."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from wtforms import Form, PasswordField, StringField
from wtforms.validators import EqualTo, InputRequired, Length

_NEEDED = _l("请填写。")
_TOO_LONG = _l("太长了。")
_DIFFERENT = _l("两次输入的不一样。")


class SignInForm(Form):
    """Name and password."""

    login = StringField(validators=[InputRequired(_NEEDED)])
    password = PasswordField(validators=[InputRequired(_NEEDED)])


class PasswordForm(Form):
    """Changing one's own local password."""

    current = PasswordField(validators=[InputRequired(_NEEDED)])
    new = PasswordField(validators=[InputRequired(_NEEDED), Length(max=1024, message=_TOO_LONG)])
    again = PasswordField(validators=[InputRequired(_NEEDED), EqualTo("new", _DIFFERENT)])


class SetupForm(Form):
    """The three first accounts."""

    admin_login = StringField(validators=[InputRequired(_NEEDED), Length(max=64, message=_TOO_LONG)])
    admin_name = StringField(validators=[InputRequired(_NEEDED), Length(max=128, message=_TOO_LONG)])
    admin_password = PasswordField(validators=[InputRequired(_NEEDED)])
    admin_again = PasswordField(validators=[InputRequired(_NEEDED), EqualTo("admin_password", _DIFFERENT)])
    auditor_login = StringField(validators=[InputRequired(_NEEDED), Length(max=64, message=_TOO_LONG)])
    auditor_name = StringField(validators=[InputRequired(_NEEDED), Length(max=128, message=_TOO_LONG)])
    auditor_password = PasswordField(validators=[InputRequired(_NEEDED)])
    auditor_again = PasswordField(validators=[InputRequired(_NEEDED), EqualTo("auditor_password", _DIFFERENT)])
    staff_login = StringField(validators=[InputRequired(_NEEDED), Length(max=64, message=_TOO_LONG)])
    staff_name = StringField(validators=[InputRequired(_NEEDED), Length(max=128, message=_TOO_LONG)])
    staff_password = PasswordField(validators=[InputRequired(_NEEDED)])
    staff_again = PasswordField(validators=[InputRequired(_NEEDED), EqualTo("staff_password", _DIFFERENT)])
