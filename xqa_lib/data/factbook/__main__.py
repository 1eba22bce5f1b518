"""`python -m xqa_lib.data.factbook`: see `review.main`."""

import sys

from .review import main

sys.exit(main())
