"""Long work that is recorded in its folder and gone on with after any end: what a dataset and a training share.

| module | what it is |
| --- | --- |
| `settings` | what is asked: the command's own options, the stage that does the work, its options |
| `plan` | what the stage answers before and after; lines and refusals made of that |
| `work` | the stage looked over, opened and asked |
| `record` | the document in the folder, true however the work ends; what must be the same to go on |
| `folder` | one process at a time |
| `workers` | pieces of work in processes that end with the one that started them |
| `journal` | what a piece of work has found so far |

`settings`, `plan` and `journal` are light. A plugin uses `workers` and `journal`.
"""
