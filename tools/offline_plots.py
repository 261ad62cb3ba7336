"""The page of `dvc plots show` with Vega inside it: python -m tools.offline_plots; `make` does it once.

DVC's own page loads Vega from the internet, and stays empty without it.
"""

import subprocess
import sys
from pathlib import Path

import vl_convert

from src.core.files import replacing

PAGE = Path(".dvc/plots.html")
VEGA_LITE = "5.21"  # DVC's charts are of Vega-Lite 5
# {refresh_tag} and {plot_divs} are DVC's: https://dvc.org/doc/command-reference/plots#html-template
TEMPLATE = """\
<!DOCTYPE html>
<html>
<head>
  {{refresh_tag}}
  <meta charset="utf-8">
  <title>DVC plots</title>
  <script>{vega}</script>
  <style>table {{ border-spacing: 15px; }}</style>
</head>
<body>
  {{plot_divs}}
</body>
</html>
"""


def main() -> None:
    """Writes the page, and tells DVC of it in .dvc/config.local."""
    vega = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", VEGA_LITE).replace("</script", "<\\/script")
    with replacing(PAGE) as temporary:
        temporary.write_text(TEMPLATE.format(vega=vega), encoding="utf-8")
    subprocess.run([sys.executable, "-m", "dvc", "config", "--local", "plots.html_template", PAGE.name], check=True)


if __name__ == "__main__":
    main()
