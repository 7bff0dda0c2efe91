"""Starts, watches and stops the processes of the portal on one machine. Standard library only, besides settings."""
