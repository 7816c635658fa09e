"""Names and places that look like a city's population; invented combinations, many with letters beyond ASCII."""

from __future__ import annotations

FEMALE_GIVEN = (
    "Zoë", "Siân", "Chloë", "Renée", "Małgorzata", "Aoife", "Ngọc", "Şebnem", "Inés", "Grace", "Amelia", "Fatima",
    "Priya", "Olivia", "Joan", "Margaret", "Dorothy", "Agnès", "Beyoncé", "Léa", "Anaïs", "Åsa", "Ewa", "Halina",
    "Mary", "Susan", "Jean", "Patricia", "Sheila", "Aisha", "Noor", "Emily", "Hannah", "Niamh", "Caitríona",
)  # fmt: skip
MALE_GIVEN = (
    "José", "Seán", "Łukasz", "Jürgen", "Björn", "Søren", "André", "Đức", "Paweł", "François", "Mihály", "Oğuz",
    "Ahmed", "Mohammed", "John", "David", "Peter", "Alan", "Brian", "Ian", "Colin", "Derek", "Raj", "Imran",
    "Oisín", "Rhys", "Iwan", "Noël", "Jörg", "Štefan", "Graham", "Keith", "Owen", "Thomas", "Miloš",
)  # fmt: skip
FAMILY = (
    "O’Brien", "Nuñez", "Müller", "Kowalczyk", "Wójcik", "García", "Fernández", "Jørgensen", "Ångström", "Nguyễn",
    "Dvořák", "Şahin", "Ó Súilleabháin", "Brontë", "Lefèvre", "Châtelain", "Smith-Jones", "Hussain", "Patel", "Begum",
    "Taylor", "Ward", "Hallam", "Crookes", "Bradfield", "Stannington", "Wragg", "Staniforth", "Osgathorpe", "Shaw",
    "Okonkwo", "Adébáyò", "Mbeki", "Ali", "Khan", "Singh", "Kaur", "Chen", "Wu", "Yamada", "Rossi", "D’Angelo",
    "Papadopoulos", "Ionescu", "Țepeș", "Horváth", "Szabó", "Novák", "Çelik", "Rasmussen", "Lindström", "Väisänen",
    "Thompson", "Hague", "Marples", "Sorsby", "Fearnley", "Dungworth", "Revill", "Hinchliffe",
)  # fmt: skip
STREETS = (
    "Ecclesall Road", "Abbeydale Road", "Infirmary Road", "Norfolk Park Avenue", "Manor Oaks Road", "Langsett Road",
    "Penistone Road", "Psalter Lane", "Crookesmoor Road", "Café Row", "St Mary’s Gate", "Burngreave Street",
)  # fmt: skip
DISTRICTS = ("S1", "S2", "S3", "S5", "S6", "S7", "S8", "S10", "S11", "S12", "S17", "S35")
PRACTICES = (
    "Hallam Vale Medical Centre", "Rivelin Surgery", "Porter Brook Practice", "Don Valley Health Centre",
    "Loxley Group Practice", "Sheaf Street Surgery", "Manor Top Medical Centre", "Beauchief Practice",
)  # fmt: skip
SERVICES = (
    "Integrated MSK Single Point of Access", "Orthopaedic Outpatients", "Community Physiotherapy",
    "Rheumatology", "Chronic Pain Service", "Podiatric Surgery",
)  # fmt: skip
ROLES = (
    "Advanced Physiotherapy Practitioner", "Consultant Orthopaedic Surgeon", "Consultant Rheumatologist",
    "General Practitioner", "Specialist Podiatrist", "Clinical Psychologist",
)  # fmt: skip
