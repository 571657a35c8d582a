"""Makes the sites that are at rest while the control plane is measured, unless they are there."""

import sys

from installation import ensure
from many import names

for name in names(int(sys.argv[1])):
    ensure(name)
