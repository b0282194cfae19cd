"""What goes out, by which sender; nothing leaves before the parcel is sent."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from contracts.codes import CodeChannel
from services.notification.domain.address import usable_address
from services.notification.domain.delivery import Delivery
from services.notification.domain.message import Content, Message, Reason
from services.notification.senders.composing import Composer
from services.notification.senders.email import EmailSender
from services.notification.senders.twilio import TwilioSender


@dataclass(frozen=True)
class Parcel:
    """A message that is ready to go, and how long a try can take; its content is not shown."""

    longest: timedelta
    send: Callable[[], Awaitable[Delivery]] = field(repr=False)


@dataclass(frozen=True)
class Outgoing:
    """The senders there are; where no telephone provider is set up, there is none for calls."""

    composer: Composer
    email: EmailSender
    phone: TwilioSender | None

    def pack(self, message: Message, content: Content, *, now: datetime) -> Parcel | Reason:
        """Return the message as it goes out, or why it cannot."""
        if message.channel is CodeChannel.EMAIL:
            return self._by_email(message, content, now)
        return self._by_phone(message, content)

    def _by_email(self, message: Message, content: Content, now: datetime) -> Parcel | Reason:
        address = usable_address(content.contact.email or "")
        if address is None:
            return Reason.NO_ADDRESS
        mail = self.composer.compose(message, content, to=address, now=now)
        return Parcel(self.email.longest, lambda: self.email.send(mail))

    def _by_phone(self, message: Message, content: Content) -> Parcel | Reason:
        code, phone = content.code, self.phone
        if code is None or code.number is None:
            return Reason.NO_ADDRESS
        if phone is None:
            return Reason.NO_SENDER
        number, language = code.number, content.contact.language
        if message.channel is CodeChannel.SMS:
            text = self.composer.text_message(code, language)
            return Parcel(phone.longest, lambda: phone.write(number, text))
        speech = self.composer.speech(code, language)
        return Parcel(phone.longest, lambda: phone.call(number, speech))
