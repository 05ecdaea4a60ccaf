"""Messages to a topic of Amazon SNS, whose subscribers are mails, text messages, queues, functions or addresses.

One publication says the same in several lengths: a text message gets the short one. Attributes carry what a subscriber may filter by. The
login is AWS's own chain (a role, a profile, variables of the environment) unless two variables are named.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from smartflow_assets.adapters.channels.base import BaseChannel, Preview
from smartflow_assets.adapters.channels.optional_libraries import library
from smartflow_assets.adapters.secret_references import REFERENCE, Secret, resolve
from smartflow_assets.adapters.web import is_web_address
from smartflow_assets.core.errors import DeliveryError
from smartflow_assets.core.incidents.formats import sns
from smartflow_assets.core.incidents.messages import Message

_FINAL = ("InvalidParameter", "InvalidParameterValue", "ParameterValueInvalid", "ValidationException")
_FILTERS = ("source", "severity", "event", "cause", "incident_id")


def _is_topic(text: str) -> str:
    if not REFERENCE.search(text) and (not text.startswith("arn:") or text.count(":") != 5):
        raise ValueError("write the ARN of the topic, such as arn:aws:sns:eu-central-1:123456789012:alerts")
    return text


class SnsChannel(BaseChannel):
    """Publish each message to a topic of Amazon SNS."""

    type: Literal["sns"] = "sns"
    topic: Annotated[str, AfterValidator(_is_topic)] = Field(description="The ARN of the topic; may be ${NAME}.")
    format: Literal["text", "facts"] = Field(
        default="text", description="What queues, functions and addresses get: the text, or all fields as JSON. Mails get the text."
    )
    access_key_id: Secret | None = Field(default=None, description="As ${NAME}; without it AWS's own chain logs in.", repr=False)
    secret_access_key: Secret | None = Field(default=None, description="As ${NAME}.", repr=False)
    endpoint: Annotated[str, AfterValidator(is_web_address)] | None = Field(
        default=None, description="Where SNS is, if not at the address of its region: a VPC endpoint, an emulator."
    )

    @model_validator(mode="after")
    def _keys_go_together(self) -> "SnsChannel":
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise ValueError("access_key_id and secret_access_key go together; set both, or neither")
        return self

    def deliver(self, message: Message, *, environment: Mapping[str, str], outbox: Path) -> None:
        topic = resolve(self.topic, environment)
        keys = [resolve(key, environment) if key else None for key in (self.access_key_id, self.secret_access_key)]
        boto3 = library("boto3", channel="sns")
        exceptions = library("botocore.exceptions", channel="sns")
        try:
            client = self._client(boto3, topic, *keys)
            client.publish(TopicArn=topic, **_publication(message, topic, self.format))
        except exceptions.ClientError as error:
            told = error.response.get("Error", {})
            code, what = told.get("Code", ""), told.get("Message", "")
            is_final = code in _FINAL
            raise DeliveryError(f"SNS refused it: {code} {what}".rstrip(), is_final=is_final, is_channel_down=not is_final) from None
        except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError):
            remedy = "Give SmartFlow a role or a profile, or name access_key_id and secret_access_key."
            raise DeliveryError("there is no login for AWS", is_channel_down=True, remedy=remedy) from None
        except (exceptions.BotoCoreError, ValueError) as error:
            what = f"SNS cannot be reached: {type(error).__name__}: {error}"
            raise DeliveryError(what, is_channel_down=True) from None

    def preview(self, message: Message) -> Preview:
        return Preview.of_json({"TopicArn": self.topic, **_publication(message, self.topic, self.format)})

    def _client(self, boto3: Any, topic: str, key: str | None, secret: str | None) -> Any:
        config = library("botocore.config", channel="sns").Config(
            connect_timeout=self.timeout.total_seconds(),
            read_timeout=self.timeout.total_seconds(),
            retries={"total_max_attempts": 1},  # attempts are the outbox's
        )
        region = topic.split(":")[3] if topic.count(":") == 5 else None
        session = boto3.Session(aws_access_key_id=key, aws_secret_access_key=secret, region_name=region)
        return session.client("sns", endpoint_url=self.endpoint, config=config)


def _publication(message: Message, topic: str, format: str) -> dict[str, Any]:
    said = sns.render(message.content, facts=format == "facts")
    texts = {name: str(message.facts[name] or "") for name in _FILTERS}
    said["MessageAttributes"] = {name: {"DataType": "String", "StringValue": text[:200]} for name, text in texts.items() if text}
    if topic.endswith(".fifo"):
        said |= {"MessageGroupId": message.incident_id, "MessageDeduplicationId": message.file_key}
    return said
