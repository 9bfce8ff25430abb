"""What a study says: prevalence, effects, stability, agreement, classes and flags. One module for each statistic.

Everything is computed from `choices.Choices`; `analysis.analyse` puts it together and knows no protocol, no database
and no engine. `analyses` is the one effect: it reads a home's journals and states the result as an act, whose rows
`analysed` reads. Nothing here draws random numbers, so the same rows give the same analysis.
"""
