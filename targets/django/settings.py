# What Django needs to know for two routes: no database, no templates, no middleware.

LARGEST = 32 * 1024 * 1024

ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]
DATA_UPLOAD_MAX_MEMORY_SIZE = LARGEST
FILE_UPLOAD_MAX_MEMORY_SIZE = LARGEST
ROOT_URLCONF = "webhook"
