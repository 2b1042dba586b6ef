"""The committed benchmarks: what each main path costs, beside the floor measured in the same run and its target."""
