"""`python -m services.cli` is `fraud`."""

import sys

from services.cli import main

sys.exit(main())
