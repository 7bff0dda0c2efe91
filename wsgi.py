"""What gunicorn loads: ``gunicorn wsgi:application``."""

from portal.app import create_app

application = create_app()
