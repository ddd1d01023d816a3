"""What a planned, unpruned factorial design says of β, B, k and granularity, with intervals.

Only designed points are fitted: what ASHA let live is not missing at random.
"""
