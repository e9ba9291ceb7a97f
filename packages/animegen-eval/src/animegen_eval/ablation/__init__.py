"""Factorial ablations: every pair of panels through every configuration, each distinct piece of work done once.

| module | what it holds |
| --- | --- |
| `design` | factors, levels, and the configurations (cells) that they make |
| `choice` | which pairs: a seeded rule, fixed before anything runs |
| `study` | the study's folder and its record; one process at a time |
| `plan` | work items by stage, each under its hash |
| `work`, `workers` | items at work, in this process or in several |
| `generate` | all items of a study, stage by stage |
| `scoring` | all cells at equal times, beside controls, through the one evaluation |
| `analysis` | effects, interactions, what a frame rate alone does |
| `tables` | a Markdown table for a paper, and what the terminal shows |
"""
