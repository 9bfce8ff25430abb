"""What a study says: prevalence, effects, stability, agreement, classes and flags. One module for each statistic.

Everything is computed from `choices.Choices`; `analysis.analyse` puts it together. Knows no protocol, no database and
no engine. Nothing here draws random numbers, so the same rows give the same analysis.
"""
