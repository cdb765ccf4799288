"""The statistics of misalign-eval: pure functions from numbers and arrays to frozen values.

Rates, thresholds and p-values are fractions in [0, 1], never percent. Randomness comes in as a seed. Nothing
here prints, reads a file or imports another part of the package.

========================================================  =========================
Question                                                  Module
========================================================  =========================
What was counted, and with which weights?                 ``cells``
How often, on these probes (SUITE)?                       ``rates``
How often, on probes like these (GENERAL)?                ``general``
What would a clustered standard error say?                ``clustered``
How far apart are two runs?                               ``difference``
... as stratified score interval or odds ratio            ``stratified``
Did anything change?                                      ``permutation``
Which of many probes or categories changed?               ``multiplicity``
What if the ungraded replies were all bad, or all good?   ``missing``
Does the model pass?                                      ``gates``
What would settle an inconclusive gate?                   ``settlement``
May sampling stop early?                                  ``evalues``, ``sequential``
How many replies are needed?                              ``power``, ``simulation``,
                                                          ``sequential_simulation``
How does the rate move over checkpoints?                  ``trajectory``
What can several training runs say?                       ``runs``
What is the mean score?                                   ``means``
Do two graders agree?                                     ``agreement``,
                                                          ``chance_corrected``
What do judges say if their mistakes are independent?     ``dawid_skene``
By how much does another judge shift a rate or a change?  ``paired_shift``
What is the rate, freed of the judge's error?             ``two_phase``,
                                                          ``judge_error``
How many labels are needed?                               ``label_planning``
Which score does a judge's token distribution give?       ``token_score``,
                                                          ``token_paths``
Which warnings do the numbers call for?                   ``cautions``
Beta, binomial, normal and t distributions                ``special``
Binomial intervals                                        ``intervals``
========================================================  =========================
"""
