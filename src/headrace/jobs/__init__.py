"""The job queue worker, and one module per kind of job."""
