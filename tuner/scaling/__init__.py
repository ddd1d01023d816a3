"""Scaling studies: effects of β, B, k and granularity from a planned, unpruned factorial design.

Only designed points are fitted, because trials that ASHA stops are not missing at random.
"""
