"""python -m services.notification api|consumer|relay|migrate|all"""

import sys

from libs.service.main import run_service
from services.notification.app import SERVICE, bring_schema_up_to_date, build

if __name__ == "__main__":
    sys.exit(run_service(SERVICE, sys.argv[1:], build=build, migrate=bring_schema_up_to_date))
