"""The statistics of misalign-eval: pure functions from numbers and arrays to frozen values.

Rates, thresholds and p-values are fractions in [0, 1], never percent. Randomness comes in as a seed. Nothing
here prints, reads a file or imports another part of the package.

====================================================  =========================
Subject                                               Module
====================================================  =========================
Counts of replies by probe and prompt, and weights    ``cells``
A rate on these probes (SUITE)                        ``rates``
A rate on probes like these (GENERAL); clustered      ``general``
standard errors and the bootstrap over probes
The difference or ratio of two rates; stratified      ``difference``
intervals, odds ratio, corrections for many tests
Permutation tests of a change                         ``permutation``
Bounds when ungraded replies may be anything          ``unknown_replies``
Gates at a fixed sample size; replies that would      ``gates``
decide an inconclusive one
Bounds when prompts have unequal numbers of replies   ``unequal_cells``
Sequential tests: e-values, early stopping            ``sequential``
Power and sample size, by formula and simulated       ``power``, ``simulation``
Trend and onset over checkpoints                      ``trajectory``
Binomial intervals, means, several training runs      ``intervals``
Agreement of graders: kappa, AC1, alpha, Dawid-Skene  ``agreement``
A rate corrected for the judge's error                ``judge_error``
A score from a judge's token probabilities            ``token_score``
Warnings that the numbers call for                    ``cautions``
Beta, binomial, normal and t distributions            ``special``
====================================================  =========================
"""
