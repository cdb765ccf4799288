"""Calibration of judges: against people, against another judge, and the effect on rates and gates."""
