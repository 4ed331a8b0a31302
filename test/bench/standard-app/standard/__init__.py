import boto3
import pydantic
import requests
import sqlalchemy
from flask import Flask

app = Flask(__name__)


@app.get("/healthz")
def healthz():
    return {"boto3": boto3.__version__, "pydantic": pydantic.VERSION, "requests": requests.__version__, "sqlalchemy": sqlalchemy.__version__}
