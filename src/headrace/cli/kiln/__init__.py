"""Project folders of Kiln: written from a running server, read into one, or kept in step with one."""
