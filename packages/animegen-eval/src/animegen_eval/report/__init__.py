"""A page that shows what was evaluated and what that can carry: one folder, opened offline, nothing fetched.

| module | what it does |
| --- | --- |
| `material` | what a report is made of: rows, figures, pairs with their clips, where all of it comes from |
| `evaluations`, `studies` | the folders of `evaluate` and `ablate` as material |
| `analysis` | effects of every quantity, and which systems are not shown to differ from the best one |
| `findings` | sentences that say no more than the intervals allow |
| `numbers`, `cells` | figures as people read them; what a table is |
| `tables`, `diagnostics` | systems, titles, effects, worst clips; controls, gates, frame rates, missing values |
| `export` | tables for papers (Markdown) and programs (CSV) |
| `plots`, `inline` | matplotlib figures as SVG that follows the page's colours |
| `media` | thumbnails and playable clips |
| `provenance` | versions, metrics, weights, inputs, commands |
| `page`, `build` | the page, and the folder it lies in |
"""
