"""The pass over any kind of item: contract, stages, schedule, history. Names no kind and no system."""
