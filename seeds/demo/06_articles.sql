-- Articles in both languages, published over the past months.
CREATE TEMP TABLE demo_articles (key text, days_ago int, category text, tags text[]) ON COMMIT DROP;
INSERT INTO demo_articles VALUES
    ('first session', 150, 'getting_started', '{first-session,video}'),
    ('confidentiality', 132, 'getting_started', '{confidentiality,employer}'),
    ('sleep habits', 110, 'sleep', '{sleep,evening}'),
    ('signals of stress', 88, 'stress', '{stress,work}'),
    ('breathing', 61, 'stress', '{stress,breathing}'),
    ('shift work', 45, 'nutrition', '{shift-work,meals}'),
    ('back at a desk', 24, 'movement', '{back,desk}'),
    ('struggling colleague', 9, 'relationships', '{colleagues,listening}');

INSERT INTO app.articles (id, status, category, tags, published_at, created_at)
    SELECT pg_temp.id('article ' || key), 'published', category, tags,
           (pg_temp.today() - days_ago + time '07:30') AT TIME ZONE 'UTC',
           (pg_temp.today() - days_ago - 6 + time '14:00') AT TIME ZONE 'UTC'
    FROM demo_articles;

INSERT INTO app.article_translations (article_id, language, slug, title, summary, body, created_at)
    SELECT pg_temp.id('article ' || key), it.language, it.slug, it.title, it.summary, it.body,
           (pg_temp.today() - d.days_ago - 6 + time '14:00') AT TIME ZONE 'UTC'
    FROM (VALUES
('first session', 'fr', 'votre-premiere-seance', 'Votre première séance, pas à pas',
 'Ce qui se passe avant, pendant et après un premier rendez-vous, et comment vous y préparer sans vous mettre la pression.',
$fr$On hésite souvent avant un premier rendez-vous : *qu’est-ce que je vais dire ?* La réponse est simple : ce qui vient. Votre praticien a l’habitude de commencer avec des inconnus.

## Avant

- Choisissez un endroit où personne ne vous entend : une chambre, une salle de réunion fermée, une voiture à l’arrêt.
- Testez le son. Un casque protège votre intimité et améliore la qualité de l’échange.
- Notez une ou deux phrases sur ce qui vous amène. Rien de plus.

## Pendant

Le praticien se présente, vous demande ce que vous attendez et vous explique comment il travaille. Vous pouvez répondre « je ne sais pas encore », garder un silence ou refuser une question. Une séance de trente à cinquante minutes suffit rarement à tout dire, et ce n’est pas le but : elle sert à voir si vous avez envie de continuer ensemble.

## Après

Laissez-vous dix minutes avant de reprendre le travail. Si le contact n’est pas passé, changez de praticien : c’est courant, et personne ne s’en vexe. Si vous devez annuler, faites-le dès que vous le savez : le créneau servira à quelqu’un d’autre.$fr$),
('first session', 'en', 'your-first-session', 'Your first session, step by step',
 'What happens before, during and after a first appointment, and how to prepare for it without putting pressure on yourself.',
$en$Many people hesitate before a first appointment: *what am I going to say?* The answer is simple: whatever comes. Your practitioner is used to beginning with strangers.

## Before

- Choose a place where nobody can hear you: a bedroom, a closed meeting room, a parked car.
- Try the sound. A headset protects your privacy and makes the conversation easier.
- Write down one or two sentences about what brings you. Nothing more.

## During

The practitioner introduces themselves, asks what you hope for and explains how they work. You may answer “I don’t know yet”, stay silent for a while or decline a question. Thirty to fifty minutes are rarely enough to say everything, and that is not the point: a first session is there to find out whether you want to go on together.

## After

Give yourself ten minutes before you go back to work. If you did not get on, choose somebody else: it happens often, and nobody takes offence. If you have to cancel, do it as soon as you know: somebody else will be glad of the time.$en$),
('confidentiality', 'fr', 'ce-que-votre-employeur-ne-saura-jamais', 'Ce que votre employeur ne saura jamais',
 'Votre entreprise finance les séances. Voici exactement ce qu’elle voit, et ce qui lui reste fermé.',
$fr$C’est la question que tout le monde se pose, et elle mérite une réponse précise.

## Ce que l’entreprise voit

Des totaux par mois : le nombre de séances, par domaine ou par mode. Un chiffre qui repose sur moins de onze personnes n’est pas affiché, ni celui qui permettrait de le retrouver par soustraction. Une entreprise peut relever ce seuil, jamais le descendre sous dix.

## Ce qu’elle ne voit pas

- si vous avez ouvert un compte ;
- si vous avez pris rendez-vous, avec qui et quand ;
- combien de séances il vous reste ;
- un seul mot de ce qui s’est dit.

Ces règles ne dépendent pas de la bonne volonté de quelqu’un : la base de données elle-même refuse ces informations aux comptes RH.

## Et votre praticien ?

Il est tenu au secret professionnel ou à la confidentialité prévue par son code de déontologie. La loi prévoit quelques exceptions, en particulier lorsqu’une vie est en danger ; il vous en parlera si la question se pose.

## Un conseil pratique

Nos messages restent neutres, car une messagerie professionnelle se lit parfois à plusieurs. Bloquez l’heure de votre séance dans votre agenda sous le titre que vous voulez.$fr$),
('confidentiality', 'en', 'what-your-employer-never-learns', 'What your employer never learns',
 'Your company pays for the sessions. Here is exactly what it sees, and what stays closed to it.',
$en$Everybody asks this question, and it deserves a precise answer.

## What the company sees

Totals by month: the number of sessions, by field of care or by mode. A figure that rests on fewer than eleven people is not shown, and neither is one from which it could be worked out by subtraction. A company may raise this threshold; it can never go below ten.

## What it does not see

- whether you have opened an account;
- whether you have booked, with whom and when;
- how many sessions you have left;
- a single word of what was said.

These rules do not depend on anybody’s good will: the database itself refuses this information to HR accounts.

## And your practitioner?

They are bound by professional secrecy, or by the confidentiality of their code of ethics. The law knows a few exceptions, above all where a life is in danger; they will talk to you about it if the question arises.

## A practical tip

Our messages stay neutral, because a work mailbox is sometimes read by several people. Block the hour of your session in your calendar under any title you like.$en$),
('sleep habits', 'fr', 'mieux-dormir-sept-habitudes', 'Mieux dormir : sept habitudes qui aident',
 'Ce qui aide la plupart des gens à s’endormir, et le moment où il vaut mieux demander de l’aide.',
$fr$Le sommeil ne se commande pas, mais il se prépare. Choisissez **une** de ces habitudes et tenez-la deux semaines.

1. **Levez-vous à la même heure**, week-end compris. C’est le réveil qui règle l’horloge, plus que le coucher.
2. **Cherchez la lumière du jour** dans l’heure qui suit : dix minutes dehors suffisent.
3. **Arrêtez la caféine après le déjeuner.** Elle agit encore six heures plus tard.
4. **Bougez dans la journée**, et calmez le jeu dans les deux heures qui précèdent le coucher.
5. **Gardez la chambre fraîche, sombre et silencieuse** : autour de dix-huit degrés.
6. **Posez les écrans et le travail** une demi-heure avant. Notez sur un papier ce qui vous attend demain.
7. **Si le sommeil ne vient pas au bout de vingt minutes, levez-vous.** Lisez quelques pages ailleurs, à lumière douce, et revenez quand vos yeux se ferment.

L’alcool endort, puis réveille : mieux vaut ne pas compter sur lui.

## Quand demander de l’aide

Si vos nuits sont mauvaises au moins trois fois par semaine depuis trois mois, si l’on vous dit que vous cessez de respirer en dormant, ou si vous luttez contre le sommeil au volant, parlez-en à un médecin ou à un praticien du sommeil. L’insomnie se soigne bien, souvent sans médicament.$fr$),
('sleep habits', 'en', 'sleeping-better-seven-habits', 'Sleeping better: seven habits that help',
 'What helps most people fall asleep, and when it is better to ask for help.',
$en$Sleep does not obey orders, but it can be prepared. Choose **one** of these habits and keep it for two weeks.

1. **Get up at the same time**, weekends included. Waking up sets the clock more than going to bed does.
2. **Look for daylight** within the next hour: ten minutes outside are enough.
3. **No caffeine after lunch.** It still works six hours later.
4. **Move during the day**, and slow down in the two hours before bed.
5. **Keep the bedroom cool, dark and quiet**: around eighteen degrees.
6. **Put screens and work away** half an hour before. Write on paper what is waiting for tomorrow.
7. **If sleep has not come after twenty minutes, get up.** Read a few pages elsewhere in soft light, and come back when your eyes close.

Alcohol sends you to sleep and then wakes you: do not count on it.

## When to ask for help

If your nights have been bad at least three times a week for three months, if you are told that you stop breathing in your sleep, or if you fight sleep at the wheel, talk to a doctor or a sleep practitioner. Insomnia can be treated well, often without medicine.$en$),
('signals of stress', 'fr', 'stress-au-travail-reconnaitre-les-signaux', 'Stress au travail : reconnaître les signaux',
 'Le corps prévient avant la tête. Quatre familles de signes, et trois questions à se poser.',
$fr$Le stress n’est pas une faiblesse : c’est une réaction utile quand elle est courte. Elle abîme lorsqu’elle ne s’arrête plus.

## Quatre familles de signes

| Où | Ce qu’on remarque |
|---|---|
| Corps | tensions, maux de ventre, sommeil haché, fatigue qui ne passe pas |
| Pensées | oublis, difficulté à décider, ruminations le soir |
| Émotions | irritabilité, larmes faciles, impression de ne plus rien ressentir |
| Gestes | on saute les repas, on s’isole, on boit ou fume davantage |

Un signe isolé ne dit rien. Plusieurs à la fois, pendant plus de deux ou trois semaines, méritent qu’on s’arrête.

## Trois questions

1. *Depuis quand ?* Retrouvez ce qui a changé à ce moment-là.
2. *Qu’est-ce qui dépend de moi ?* Une tâche à reporter, une réunion à refuser, une pause à reprendre.
3. *Qui peut m’aider ?* Un responsable, un collègue, la médecine du travail, un praticien.

## Un premier pas

Cette semaine, protégez une pause de vingt minutes par jour, sans téléphone. Si cela paraît impossible, c’est justement le signe qu’il faut en parler.$fr$),
('signals of stress', 'en', 'stress-at-work-reading-the-signals', 'Stress at work: reading the signals',
 'The body warns before the mind does. Four families of signs, and three questions to ask yourself.',
$en$Stress is no weakness: it is a useful reaction as long as it is short. It does harm when it no longer stops.

## Four families of signs

| Where | What one notices |
|---|---|
| Body | tension, stomach ache, broken sleep, tiredness that does not go away |
| Thoughts | forgetting things, finding it hard to decide, brooding in the evening |
| Feelings | irritability, tears close to the surface, or feeling nothing any more |
| Behaviour | skipping meals, withdrawing, drinking or smoking more |

One sign alone says nothing. Several at once, for more than two or three weeks, are a reason to pause.

## Three questions

1. *Since when?* Find out what changed at that time.
2. *What is up to me?* A task to postpone, a meeting to decline, a break to take back.
3. *Who can help?* A manager, a colleague, the occupational physician, a practitioner.

## A first step

This week, protect one break of twenty minutes a day, without your phone. If that seems impossible, it is the very sign that it is time to talk about it.$en$),
('breathing', 'fr', 'respirer-cinq-minutes-pour-redescendre', 'Respirer cinq minutes pour redescendre',
 'Un exercice que l’on peut faire à son bureau, avant une réunion ou après un appel difficile.',
$fr$Ralentir l’expiration est le moyen le plus rapide de dire au corps que le danger est passé. Cinq minutes suffisent.

## L’exercice

1. Asseyez-vous, les deux pieds au sol, les épaules relâchées.
2. Inspirez par le nez pendant **quatre** secondes ; le ventre se gonfle.
3. Soufflez doucement par la bouche pendant **six** secondes, comme dans une paille.
4. Recommencez, sans forcer, pendant cinq minutes. Quand l’esprit s’échappe, revenez au souffle suivant.

Si compter vous gêne, suivez le bord d’une fenêtre : on inspire le long du petit côté, on souffle le long du grand.

## Ce qui est normal

- bâiller, avoir les mains plus chaudes ;
- penser à autre chose dix fois : revenir, c’est l’exercice.

## Ce qui ne l’est pas

Si la tête vous tourne, respirez à votre rythme habituel. Si une oppression dans la poitrine s’installe ou irradie dans le bras ou la mâchoire, appelez le **15** ou le **112** sans attendre.

Pratiquez une fois par jour quand tout va bien : le geste sera là le jour où vous en aurez besoin.$fr$),
('breathing', 'en', 'five-minutes-of-breathing-to-calm-down', 'Five minutes of breathing to calm down',
 'An exercise that can be done at a desk, before a meeting or after a difficult call.',
$en$Breathing out more slowly is the quickest way to tell the body that the danger is over. Five minutes are enough.

## The exercise

1. Sit down, both feet on the floor, shoulders loose.
2. Breathe in through your nose for **four** seconds; your belly rises.
3. Breathe out gently through your mouth for **six** seconds, as if through a straw.
4. Go on like this, without effort, for five minutes. When your mind wanders, come back with the next breath.

If counting bothers you, follow the edge of a window: breathe in along the short side, out along the long one.

## What is normal

- yawning, warmer hands;
- thinking of something else ten times: coming back is the exercise.

## What is not

If you feel dizzy, breathe at your usual pace. If a pressure in your chest stays, or spreads to an arm or the jaw, call **112** at once (in France also **15**).

Practise once a day when all is well: it will be there on the day you need it.$en$),
('shift work', 'fr', 'bien-manger-en-horaires-decales', 'Bien manger en horaires décalés',
 'Nuits, matins très tôt, rotations : quelques repères pour garder de l’énergie sans se lever de table lourd.',
$fr$Le corps digère moins bien la nuit. On ne peut pas changer cela ; on peut en tenir compte.

## Avant un poste de nuit

Prenez un vrai repas vers dix-neuf heures : des légumes, un féculent, une source de protéines. C’est le repas principal de vos vingt-quatre heures.

## Pendant

- Une collation légère vers une heure : soupe, yaourt, fruit, poignée d’amandes, tartine de fromage.
- De l’eau, souvent. Le dernier café quatre à six heures avant de dormir.
- Évitez le gras et le sucre de trois heures du matin : le coup de barre arrive juste après.

## Au retour

Un petit déjeuner simple évite d’être réveillé par la faim. Gardez vos lunettes de soleil sur le trajet, puis dormez dans le noir.

## Les jours de repos

Revenez aux horaires de la maison pour au moins un repas par jour : manger ensemble compte autant que ce qu’il y a dans l’assiette.

Diabète, grossesse, traitement à heures fixes : demandez conseil à votre médecin ou à un diététicien avant de changer vos horaires de repas.$fr$),
('shift work', 'en', 'eating-well-on-shifts', 'Eating well on shifts',
 'Nights, very early mornings, rotations: some guidance for keeping your energy without feeling heavy.',
$en$The body digests less well at night. That cannot be changed, but it can be taken into account.

## Before a night shift

Have a proper meal at about seven in the evening: vegetables, something starchy, a source of protein. It is the main meal of your twenty-four hours.

## During

- A light snack at about one: soup, yoghurt, fruit, a handful of almonds, bread and cheese.
- Water, often. The last coffee four to six hours before you sleep.
- Avoid the fat and sugar of three in the morning: the slump follows right after.

## On your return

A simple breakfast keeps hunger from waking you. Keep your sunglasses on during the journey, then sleep in the dark.

## On days off

Return to the household’s hours for at least one meal a day: eating together matters as much as what is on the plate.

Diabetes, pregnancy, medicine at fixed hours: ask your doctor or a dietitian before you change your mealtimes.$en$),
('back at a desk', 'fr', 'mal-de-dos-au-bureau-bouger-plutot-que-bien-se-tenir', 'Mal de dos au bureau : bouger plutôt que bien se tenir',
 'Il n’existe pas de posture parfaite. Ce qui soulage, c’est d’en changer.',
$fr$On nous a longtemps dit de nous tenir droits. Les études disent autre chose : la meilleure posture est *la suivante*.

## Un réglage en deux minutes

- L’écran à une longueur de bras, le haut à hauteur des yeux.
- Les avant-bras posés, les épaules basses.
- Les pieds au sol ou sur un repose-pieds.

## Trois mouvements par demi-journée

1. **Debout** : levez-vous toutes les trente à quarante minutes, le temps d’un appel ou d’un verre d’eau.
2. **Épaules** : dix cercles lents vers l’arrière.
3. **Hanches** : un pied en avant, le bassin qui s’avance, vingt secondes de chaque côté.

Marcher vingt minutes par jour protège le dos mieux que la plupart des sièges.

## Quand consulter

Un mal de dos ordinaire s’améliore en quelques semaines si l’on continue à bouger. Consultez **rapidement** en cas de fièvre, de choc, de perte de poids inexpliquée, de faiblesse dans une jambe. Une difficulté à uriner ou une insensibilité entre les jambes est une urgence : appelez le **15** ou le **112**.$fr$),
('back at a desk', 'en', 'back-pain-at-a-desk-move-rather-than-sit-straight', 'Back pain at a desk: move rather than sit straight',
 'There is no perfect posture. What brings relief is changing it.',
$en$We were told for a long time to sit up straight. Studies say something else: the best posture is *the next one*.

## Set up in two minutes

- The screen at arm’s length, its top at eye level.
- Forearms resting, shoulders low.
- Feet on the floor or on a footrest.

## Three movements every half day

1. **Stand up** every thirty to forty minutes, for a call or a glass of water.
2. **Shoulders**: ten slow circles backwards.
3. **Hips**: one foot forward, push the pelvis forward, twenty seconds on each side.

Walking twenty minutes a day protects your back better than most chairs.

## When to see somebody

An ordinary back pain gets better within some weeks if you keep moving. See a doctor **soon** if there is fever, an injury, weight loss that you cannot explain, or weakness in a leg. Difficulty passing urine, or numbness between the legs, is an emergency: call **112** (in France also **15**).$en$),
('struggling colleague', 'fr', 'un-collegue-va-mal-que-dire', 'Un collègue va mal : que dire ?',
 'Des mots simples pour ouvrir la conversation, et les numéros à connaître quand il y a urgence.',
$fr$On se tait souvent par peur de mal faire. Pourtant, une phrase maladroite fait moins de mal qu’un silence.

## Ouvrir

Choisissez un moment calme, à deux. Parlez de ce que vous voyez, sans interpréter : « Je te trouve plus silencieux depuis quelques semaines. Comment ça va, vraiment ? »

## Écouter

- Laissez des silences.
- Évitez « ça va passer » et « moi, à ta place… ».
- Demandez : « Qu’est-ce qui t’aiderait, là, maintenant ? »

## Orienter

Vous n’êtes ni son médecin ni son responsable. Rappelez ce qui existe : un praticien ici, le médecin traitant, la médecine du travail. Proposez d’être à côté pendant qu’il prend rendez-vous.

## Quand il y a danger

Si la personne parle de mourir ou de disparaître, posez la question clairement : « Est-ce que tu penses à te suicider ? » Cela ne donne pas l’idée ; cela ouvre une porte. Ne la laissez pas seule et appelez le **3114**, numéro national de prévention du suicide, gratuit, jour et nuit. En cas de danger immédiat : le **15** ou le **112**.

Et vous ? Soutenir quelqu’un fatigue. Vous avez le droit d’en parler aussi.$fr$),
('struggling colleague', 'en', 'when-a-colleague-is-struggling', 'When a colleague is struggling: what to say',
 'Simple words to open the conversation, and the numbers to know in an emergency.',
$en$We often say nothing for fear of doing harm. Yet a clumsy sentence hurts less than silence.

## Opening

Choose a quiet moment, the two of you alone. Speak of what you see, without explaining it: “You’ve seemed quieter these past weeks. How are you, really?”

## Listening

- Leave silences.
- Avoid “it will pass” and “if I were you…”.
- Ask: “What would help you, right now?”

## Pointing the way

You are neither their doctor nor their manager. Remind them of what exists: a practitioner here, their own doctor, the occupational physician. Offer to sit beside them while they book.

## When there is danger

If they speak of dying or disappearing, ask plainly: “Are you thinking of suicide?” It does not plant the idea; it opens a door. Do not leave them alone, and call for help: in France **3114**, the national number for suicide prevention, free, day and night. In immediate danger: **112** anywhere in the European Union, in France also **15**.

And you? Supporting somebody is tiring. You are allowed to talk about that, too.$en$)
    ) AS it (key, language, slug, title, summary, body)
    JOIN demo_articles d USING (key);
