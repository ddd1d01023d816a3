#!/bin/sh
# MLflow's server, all of it from the environment: cluster/mlflow/env.example says what belongs there.
set -eu
: "${MLFLOW_NAME:?the name that browsers and studies call it by}"
: "${MLFLOW_BACKEND_STORE_URI:?postgresql+psycopg://…}" "${MLFLOW_ARTIFACTS_DESTINATION:?s3://…}"
: "${MLFLOW_AUTH_ADMIN_USERNAME:?}" "${MLFLOW_AUTH_ADMIN_PASSWORD:?}"
: "${MLFLOW_FLASK_SERVER_SECRET_KEY:?any long random text, always the same}"

# Where logins are kept can be told in a file alone.
umask 077
MLFLOW_AUTH_CONFIG_PATH=$(mktemp)
export MLFLOW_AUTH_CONFIG_PATH
cat > "$MLFLOW_AUTH_CONFIG_PATH" <<END
[mlflow]
database_uri = $MLFLOW_BACKEND_STORE_URI
default_permission = READ
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
auth_cache_ttl_seconds = 60
END

# Passwords stay out of the arguments, which every user of a machine can list.
export MLFLOW_DISABLE_TELEMETRY=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
exec mlflow server --app-name basic-auth \
    --host "${MLFLOW_LISTEN:-127.0.0.1}" --port "${MLFLOW_LISTEN_PORT:-5000}" \
    --allowed-hosts "$MLFLOW_NAME" --cors-allowed-origins "https://$MLFLOW_NAME"
