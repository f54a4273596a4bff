"""What column names hint at, in the words of several languages. A hint decides nothing alone: the values must agree."""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise


def word_set(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


IDS = word_set("id ids uuid guid key pk code ref reference identifier kennung clave cle isbn ean sku vin")
NUMBERS = word_set("nr num number no nummer numero")  # identify only beside an entity or a document
DOCUMENTS = word_set(
    "order invoice policy serial ticket contract case booking card registration row record account loan index"
)
ENTITIES = word_set(
    "user customer client patient subject person member account host guest household employee student driver player"
    " passenger device machine sensor vehicle session visitor owner company firm supplier seller vendor shop store"
    " borrower applicant participant respondent animal household hospital kunde kundin client cliente utente patientin"
    " usuario utilisateur paziente paciente"
)
CODES = word_set("id code zip zipcode postal postcode plz cap cep fips phone tel telephone mobile iban bic ssn sku icd")
NAMES = word_set(
    "name names firstname lastname surname fullname username email mail phone telephone mobile address street"
    " title url link uuid guid ssn passport iban prenom nom nombre apellido vorname nachname"
)
TIMES = word_set(
    "date datetime epoch unix time timestamp created day when datum fecha data zeit booked ordered opened start started"
    " event visit admission transaction purchase signup registered joined issued"
)
AFTER = word_set(
    "outcome result results resolution resolved status closed closing cancelled canceled cancellation cancel end ended"
    " ending finished completed completion discharge discharged death died deceased duration followup final finally"
    " settled settlement paid payout refund refunded returned shipped delivered delivery terminated termination exit"
    " churned reason approved rejected verdict decision label score rating last updated modified changed"
)
BIRTH = word_set(
    "birth birthday dob born geburt geburtsdatum naissance nacimiento nascita expiry expires expiration due"
    " valid until deadline"
)
SENSITIVE = word_set(
    "sex gender race ethnic ethnicity ethnicgroup religion religious age birth birthday birthdate dob born nationality"
    " national nativecountry citizenship citizen immigrant marital maritalstatus married relationship family pregnant"
    " pregnancy disability disabled handicap veteran income salary wage health diagnosis hiv genetic orientation"
    " politics union language mothertongue senior seniorcitizen skin caste tribe aboriginal indigenous foreign"
    " foreigner worker minority black white asian hispanic latino"
    " geschlecht alter religionszugehoerigkeit konfession staatsangehoerigkeit nationalitaet herkunft familienstand"
    " behinderung einkommen gehalt gesundheit sexe religieux nationalite naissance revenu sante"
    " sexo genero etnia edad religion nacionalidad estado_civil discapacidad ingresos salario salud sesso eta razza"
    " nazionalita disabilita reddito raca idade nacionalidade renda saude geslacht leeftijd"
)
SENSITIVE_PARTS = ("racepct", "ethnic", "gender", "marital", "religio", "nationalit", "disab", "agepct", "birth")


def words(name: str) -> list[str]:
    """Return the lower-case words of a column name: `customerID` and `customer_id` give customer, id."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    split = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", plain)
    split = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1 \2", split)
    return re.findall(r"[a-z]+|[0-9]+", split.lower())


def hints(name: str, vocabulary: frozenset[str]) -> bool:
    """Return whether a word of the name, or two neighbours written as one, is in a vocabulary."""
    found = words(name)
    joined = [first + second for first, second in pairwise(found)]
    return any(word in vocabulary for word in [*found, *joined, "".join(found)])


def known_later(name: str) -> bool:
    """Return whether a name sounds like something that is known only after the fact; `last_name` does not."""
    return hints(name, AFTER) and not hints(name, NAMES)


def is_sensitive(name: str) -> bool:
    """Return whether a name sounds like a trait of people that laws protect."""
    plain = "".join(words(name))
    return hints(name, SENSITIVE) or any(part in plain for part in SENSITIVE_PARTS)


def names_entity(name: str) -> bool:
    """Return whether a name says which person, device or the like a row is about: `user_id`, `patient no`, `id`."""
    found = words(name)
    return names_id(name) and (len(found) == 1 or any(word in ENTITIES for word in found))


def names_id(name: str) -> bool:
    """Return whether a name is one of identifiers."""
    found = words(name)
    if name.strip() in ("#", "\u2116") or name.strip().endswith("#"):
        return True
    if not found:
        return False
    is_numbered = found[-1] in NUMBERS and (len(found) == 1 or bool((ENTITIES | DOCUMENTS) & set(found)))
    return is_numbered or found[-1] in IDS or found[0] in ("id", "uuid", "guid")


def names_row(name: str) -> bool:
    """Return whether a name is one that programs give to row numbers, or none at all."""
    plain = "".join(words(name))
    return plain in ("index", "row", "rownames", "rowname", "rownumber", "rowid", "rownum", "unnamed0", "column1", "")
